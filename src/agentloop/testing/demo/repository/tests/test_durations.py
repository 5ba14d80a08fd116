import unittest

from durations import seconds


class Seconds(unittest.TestCase):
    def test_one_unit(self):
        self.assertEqual(seconds("90s"), 90)
        self.assertEqual(seconds("15m"), 900)
        self.assertEqual(seconds(" 2h "), 7200)

    def test_nonsense(self):
        with self.assertRaises(ValueError):
            seconds("soon")


if __name__ == "__main__":
    unittest.main()
