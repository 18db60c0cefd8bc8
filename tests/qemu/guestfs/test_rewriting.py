"""What becomes of a guest's configuration files. The files are as installers of the named systems write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillframe.qemu.guestfs.inside import network, storage

UUIDS = {1: "4eb40294-4c6f-4384-bbb6-b8795bbb1130", 5: "7a44a9ce-9281-4740-b95f-c8de33ae5c11"}


def uuid_of(number: int) -> str:
    return UUIDS.get(number, "")


def test_ifupdown_stanzas_become_dhcp_and_lose_what_only_fixed_addresses_have() -> None:
    text = (
        "source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\n\nallow-hotplug ens3\n"
        "iface ens3 inet static\n\taddress 10.0.0.2/24\n\tgateway 10.0.0.1\n\tdns-nameservers 9.9.9.9\n\tmtu 1400\n"
        "iface ens3 inet6 auto\n"
    )
    assert network.ifupdown(text) == (
        "source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\n\nallow-hotplug ens3\n"
        "iface ens3 inet dhcp\n\tmtu 1400\niface ens3 inet6 auto\n"
    )


def test_ifupdown_brings_up_cards_by_any_name() -> None:
    text = "auto lo\niface lo inet loopback\nauto ens33\niface ens33 inet dhcp\n"
    assert network.any_card(text) == (
        "auto lo\niface lo inet loopback\nallow-hotplug ens33\niface ens33 inet dhcp\n\n"
        "# every card, whatever it is called on the machine this runs on\n"
        "auto /e*=any-card\niface any-card inet dhcp\n"
    )


def test_a_card_of_red_hats_asks_for_an_address_and_forgets_its_hardware() -> None:
    text = (
        'DEVICE="eth0"\nBOOTPROTO="none"\nHWADDR=52:54:00:12:34:56\n'
        "IPADDR=10.0.0.2\nPREFIX=24\nDNS1=9.9.9.9\nONBOOT=yes\n"
    )
    assert network.ifcfg(text) == 'DEVICE="eth0"\nONBOOT=yes\nBOOTPROTO=dhcp\n'
    assert network.ifcfg("DEVICE=eth0\nBOOTPROTO=dhcp\nONBOOT=yes\n") == "DEVICE=eth0\nBOOTPROTO=dhcp\nONBOOT=yes\n"
    assert network.ifcfg("DEVICE=eth0\nMASTER=bond0\nSLAVE=yes\n") == "DEVICE=eth0\nMASTER=bond0\nSLAVE=yes\n"


def test_a_connection_of_network_manager_asks_for_an_address() -> None:
    text = (
        "[connection]\nid=ens3\ntype=ethernet\n\n[ethernet]\nmac-address=52:54:00:12:34:56\n\n"
        "[ipv4]\naddress1=10.0.0.2/24,10.0.0.1\ndns=9.9.9.9;\nmethod=manual\n\n[ipv6]\nmethod=auto\n"
    )
    assert network.keyfile(text) == (
        "[connection]\nid=ens3\ntype=ethernet\n\n[ethernet]\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n"
    )


def test_a_network_of_systemds_asks_for_an_address() -> None:
    text = "[Match]\nName=en*\n\n[Network]\nAddress=10.0.0.2/24\nGateway=10.0.0.1\nIPv6AcceptRA=yes\n"
    assert network.networkd(text) == "[Match]\nName=en*\n\n[Network]\nDHCP=yes\nIPv6AcceptRA=yes\n"
    assert network.networkd("[Match]\nName=en*\n[Network]\nDHCP=ipv4\n") == "[Match]\nName=en*\n[Network]\nDHCP=ipv4\n"


@pytest.mark.parametrize(
    ("device", "named"),
    [
        ("/dev/sda1", f"UUID={UUIDS[1]}"),
        ("/dev/xvda5", f"UUID={UUIDS[5]}"),
        ("/dev/nvme0n1p1", f"UUID={UUIDS[1]}"),
        ("/dev/disk/by-id/ata-QEMU_HARDDISK_QM00001-part1", f"UUID={UUIDS[1]}"),
        ("/dev/sda7", "/dev/sda7"),
        ("/dev/sdb1", "/dev/sdb1"),
        ("/dev/mapper/vg-root", "/dev/mapper/vg-root"),
        ("UUID=1234", "UUID=1234"),
        ("# /dev/sda1", "# /dev/sda1"),
    ],
)
def test_fstab_names_by_uuid_what_is_on_the_disk(device: str, named: str) -> None:
    assert storage.fstab(f"{device}\t/\text4\tdefaults\t0 1\n", uuid_of) == f"{named}\t/\text4\tdefaults\t0 1\n"


def test_boot_entries_name_the_root_and_the_swap_by_uuid() -> None:
    text = "linux /vmlinuz root=/dev/vda1 ro resume=/dev/vda5 quiet\n"
    named = f"linux /vmlinuz root=UUID={UUIDS[1]} ro resume=UUID={UUIDS[5]} quiet\n"
    assert storage.boot_entries(text, uuid_of) == named
    assert storage.boot_entries(named, uuid_of) == named
    assert storage.boot_entries("root=/dev/mapper/vg-root\n", uuid_of) == "root=/dev/mapper/vg-root\n"


@given(st.text(max_size=400))
def test_rewriting_twice_is_rewriting_once(text: str) -> None:
    """A guest's files hold anything; a job that was interrupted does it all again."""
    for rewrite in (network.ifupdown, network.any_card, network.ifcfg, network.keyfile, network.networkd):
        once = rewrite(text)
        assert rewrite(once) == once
