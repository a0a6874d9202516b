"""`python -m recs`: the command `recs`."""

from recs.cli import main

if __name__ == "__main__":
    main()
