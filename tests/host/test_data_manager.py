"""torchreid's data managers are what the annotations say."""

from paul_plugin.host.data import DataManager


def test_the_type_of_data_managers(make_datamanager):
    assert isinstance(make_datamanager(), DataManager)
    assert not isinstance(object(), DataManager)
