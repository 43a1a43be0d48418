"""``python -m dglmeta``: the same as the command ``dglmeta``."""

from dglmeta.cli import main

raise SystemExit(main())
