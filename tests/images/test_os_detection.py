import pytest

from stillframe.images.os_detection import name_system
from stillframe.qemu.guestfs.model import GuestSystem


def linux(distro: str, major: int, minor: int = 0, arch: str = "x86_64", product_name: str = "") -> GuestSystem:
    return GuestSystem(os_type="linux", distro=distro, major=major, minor=minor, arch=arch, product_name=product_name)


def windows(product_name: str, arch: str = "x86_64") -> GuestSystem:
    return GuestSystem(os_type="windows", distro="windows", major=10, minor=0, arch=arch, product_name=product_name)


@pytest.mark.parametrize(
    ("found", "version", "platform"),
    [
        (linux("debian", 12, 0), "Debian GNU/Linux 12.0.0 64bit", "Debian"),
        (linux("debian", 12, 5), "Debian GNU/Linux 12.0.0 64bit", "Debian"),
        (linux("debian", 8, 11), "Debian GNU/Linux 8.10.0 64bit", "Debian"),
        (linux("debian", 14, 0), "Other Linux(64 bit)", "Other"),
        (linux("ubuntu", 22, 4), "Ubuntu 22.04 server 64bit", "Ubuntu"),
        (linux("ubuntu", 16, 4), "Ubuntu 16.04 server 64bit", "Ubuntu"),
        (linux("ubuntu", 14, 4, "i386"), "Ubuntu 14.04 server 32bit", "Ubuntu"),
        (linux("centos", 7, 9), "CentOS 7.9 64bit", "CentOS"),
        (linux("centos", 8, 5), "CentOS 8.0 64bit", "CentOS"),
        (linux("centos", 9), "CentOS 9 64bit", "CentOS"),
        (linux("rhel", 8, 6), "Redhat Linux Enterprise 8.0 64bit", "Red Hat"),
        (linux("oraclelinux", 7, 9), "Oracle Linux Server release 7.9 64bit", "Oracle Linux"),
        (linux("sles", 15, 0), "SUSE Linux Enterprise Server 15 64bit", "SUSE"),
        (linux("sles", 15, 4), "SUSE Linux Enterprise Server 15 SP4 64bit", "SUSE"),
        (linux("opensuse", 15, 6), "openSUSE 15.6 64bit", "OpenSUSE"),
        (linux("fedora", 40), "Fedora 40 64bit", "Fedora"),
        (linux("openEuler", 24, 3), "openEuler 24.03 64bit", "openEuler"),
        (linux("euleros", 2, 0, product_name="EulerOS 2.0 (SP9x86_64)"), "EulerOS 2.9 64bit", "EulerOS"),
        (linux("alpinelinux", 3, 19), "Other Linux(64 bit)", "Other"),
        (linux("alpinelinux", 3, 19, "i386"), "Other Linux(32 bit)", "Other"),
        (windows("Windows Server 2019 Standard"), "Windows Server 2019 Standard 64bit", "Windows"),
        (windows("Windows 10 Pro"), "Windows 10 64bit", "Windows"),
        (windows("Windows 7 Professional", "i386"), "Windows 7 Professional 32bit", "Windows"),
        (windows("Windows Vista"), "Other Windows(64 bit)", "Other"),
        (None, "Other Linux(64 bit)", "Other"),
    ],
)
def test_a_system_has_the_name_that_image_management_gives_it(
    found: GuestSystem | None, version: str, platform: str
) -> None:
    named = name_system(found)
    assert (named.version, named.platform) == (version, platform)
    assert str(named.bits) in named.version


def test_what_the_caller_says_is_not_overruled_by_the_disk() -> None:
    assert name_system(linux("debian", 12), os_type="Windows").version == "Other Windows(64 bit)"
    assert name_system(None, os_type="Windows").version == "Other Windows(64 bit)"
    assert name_system(linux("debian", 12), os_type="Linux").version == "Debian GNU/Linux 12.0.0 64bit"


def test_releases_that_the_operator_has_named_are_found() -> None:
    extra = ("Debian GNU/Linux 12.5.0 64bit", "Fedora 43 64bit")
    assert name_system(linux("debian", 12, 5), extra=extra).version == "Debian GNU/Linux 12.5.0 64bit"
    assert name_system(linux("fedora", 43), extra=extra).version == "Fedora 43 64bit"
