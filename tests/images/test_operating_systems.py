"""The table of operating systems, as IMS names them."""

import pytest

from stillframe.images.operating_systems import (
    OPERATING_SYSTEMS,
    Platform,
    by_platform,
    find_operating_system,
    named_alike,
    unknown_system,
)


@pytest.mark.parametrize(
    ("version", "platform", "os_type", "bits"),
    [
        ("CentOS 7.3 64bit", "CentOS", "Linux", 64),
        ("CentOS 6.3 32bit", "CentOS", "Linux", 32),
        ("Windows Server 2012 Essentials R2 64bit", "Windows", "Windows", 64),
        ("Redhat 7.6 64bit", "Red Hat", "Linux", 64),
        ("Redhat Linux Enterprise 6.4 32bit", "Red Hat", "Linux", 32),
        ("Ubuntu 16.04.3 Server 64bit", "Ubuntu", "Linux", 64),
        ("Debian GNU/Linux 10.0.0 64bit", "Debian", "Linux", 64),
        ("CoreOS 1298.6.0", "CoreOS", "Linux", 64),
        ("openEuler 20.03 64bit", "openEuler", "Linux", 64),
        ("Other Linux(32 bit)", "Other", "Linux", 32),
    ],
)
def test_a_version_is_found_by_its_name(version: str, platform: str, os_type: str, bits: int) -> None:
    found = find_operating_system(version)
    assert found is not None
    assert (found.platform, found.os_type, found.bits) == (platform, os_type, bits)
    assert found.info.bits == str(bits)


def test_no_version_is_there_twice() -> None:
    versions = [system.version for system in OPERATING_SYSTEMS]
    assert len(set(versions)) == len(versions) > 150


def test_the_operator_can_add_versions() -> None:
    extra = ("Ubuntu 99.04 server 64bit", "CentOS 7.3 64bit", "Plan 9")
    assert find_operating_system(extra[0]) is None
    added = find_operating_system(extra[0], extra)
    assert added is not None
    assert added.platform is Platform.UBUNTU
    assert [system.version for system in by_platform(extra)[Platform.UBUNTU]][-1] == extra[0]
    assert sum(system.version == "CentOS 7.3 64bit" for system in by_platform(extra)[Platform.CENTOS]) == 1
    plan_9 = find_operating_system("Plan 9", extra)
    assert plan_9 is not None
    assert (plan_9.platform, plan_9.bits) == (Platform.OTHER, 64)


def test_every_name_of_the_table_says_what_the_table_says() -> None:
    """So that names the operator adds are understood in the same way."""
    named = [system for system in OPERATING_SYSTEMS if system.os_type != "Other"]
    assert [named_alike(system.version) for system in named] == named


def test_of_an_unknown_system_the_type_and_bits_are_told() -> None:
    assert unknown_system("Windows").version == "Other Windows(64 bit)"
    assert unknown_system("Linux", 32).version == "Other Linux(32 bit)"
    assert unknown_system("Other").version == "Other(64 bit)"
