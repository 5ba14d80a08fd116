"""What stands between a result and a pull request."""
