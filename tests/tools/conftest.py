"""Commands run by hand, some with packages that the tests do without: nothing here is collected."""

collect_ignore_glob = ["*.py"]
