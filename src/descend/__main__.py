"""``python -m descend`` is the command ``descend``."""

from descend.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
