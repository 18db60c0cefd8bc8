"""Everything there is to measure so far: `make bench`."""

from benchmarks import capture

if __name__ == "__main__":
    capture.main()
