"""`python -m fermata`: the same command line as `fermata`."""

from fermata.cli.main import main

if __name__ == "__main__":
    main()
