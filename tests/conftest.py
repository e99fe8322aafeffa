"""What every part of the tests may use."""

from hypothesis import Phase, settings

pytest_plugins = ["fixtures.broker"]

# For who only wants to know whether a property holds, and not the shortest way to break it.
settings.register_profile("verdict", phases=[Phase.explicit, Phase.generate], print_blob=False)
