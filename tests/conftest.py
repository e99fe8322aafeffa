"""What every part of the tests may use."""

pytest_plugins = ["fixtures.broker"]
