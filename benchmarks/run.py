"""Everything there is to measure so far: `make bench`."""

from benchmarks import capture, switch

if __name__ == "__main__":
    capture.main()
    switch.main()
