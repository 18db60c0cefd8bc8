import json
import sys

from stillframe.qemu.guestfs.inside import inspection, preparation
from stillframe.qemu.guestfs.inside.disk import open_disk


def main() -> None:
    action, disk = sys.argv[1:]
    with open_disk(disk, writable=action == "prepare") as handle:
        found = inspection.inspect(handle)
        answer = {"inspection": found.as_json()}
        if action == "prepare":
            answer.update(preparation.prepare(handle, found))
    sys.stdout.write(json.dumps(answer))


main()
