"""Every image command of python-openstackclient that needs no data, and the metadata definitions of openstacksdk."""

from collections.abc import Iterator

import openstack
import pytest
from openstack.connection import Connection

from tests.clients.command_line import CommandLine
from tests.system import System

pytestmark = pytest.mark.client


@pytest.fixture(scope="module")
def ours(system: System) -> CommandLine:
    return CommandLine(system)


@pytest.fixture(scope="module")
def admin(system: System) -> CommandLine:
    return CommandLine(system, "stillframe-admin")


@pytest.fixture(scope="module")
def guests(system: System, admin: CommandLine) -> Iterator[CommandLine]:
    """Another project, in which nobody is more than a member."""
    account = system.cloud("stillframe-admin")["auth"]
    project_id = admin.read("project create osc-guests")["id"]
    admin.run(f"role add --user {account['username']} --project {project_id} member")
    yield CommandLine(
        system,
        token=system.new_token("stillframe-admin", project={"id": project_id}),
        project_id=project_id,
    )
    admin.run(f"project delete {project_id}")


def test_set_and_unset_change_what_is_shown(ours: CommandLine) -> None:
    made = ours.read(
        "image create osc-set --disk-format raw --container-format bare --min-disk 2 --min-ram 64 --tag a --tag b "
        "--property team=blue --property 'trait:CUSTOM/X=required'"
    )
    assert (made["status"], made["visibility"], sorted(made["tags"])) == ("queued", "private", ["a", "b"])
    ours.run(
        "image set osc-set --name osc-reset --min-disk 3 --property os_distro=debian --architecture arm --tag c "
        "--protected --hidden --community --disk-format qcow2 --os-version 12"
    )
    # Hidden images are found by their id only.
    shown = ours.read(f"image show {made['id']}")
    assert (shown["name"], shown["min_disk"], shown["disk_format"]) == ("osc-reset", 3, "qcow2")
    assert (shown["protected"], shown["visibility"]) == (True, "community")
    further = {"team": "blue", "os_distro": "debian", "architecture": "arm", "os_hidden": True}
    assert shown["properties"] | further == shown["properties"]
    assert shown["properties"]["trait:CUSTOM/X"] == "required"
    ours.refused("image delete osc-reset")
    ours.run(f"image set {made['id']} --unprotected --unhidden --private")
    ours.run("image unset osc-reset --tag a --tag b --property team --property trait:CUSTOM/X")
    shown = ours.read("image show osc-reset")
    assert shown["tags"] == ["c"]
    assert {"team", "trait:CUSTOM/X"}.isdisjoint(shown["properties"])
    ours.refused("image unset osc-reset --tag a")
    ours.run("image delete osc-reset")
    ours.refused("image show osc-reset")


def test_lists_are_filtered_sorted_and_cut(ours: CommandLine) -> None:
    for number, fields in enumerate(("--tag osc-l --property osc=1", "--tag osc-l --tag x --property osc=2", "")):
        ours.run(f"image create osc-list-{number} --disk-format raw {fields}")

    def names(options: str) -> list[str]:
        found = [one["Name"] or "" for one in ours.read(f"image list {options}")]  # of other tests, too
        return [name for name in found if name.startswith("osc-list-")]

    assert names("--name osc-list-1") == ["osc-list-1"]
    assert names("--tag osc-l --sort name:desc") == ["osc-list-1", "osc-list-0"]
    assert names("--tag osc-l --tag x") == ["osc-list-1"]
    assert names("--property osc=1") == ["osc-list-0"]
    assert names("--private --status queued --sort name:asc") == [f"osc-list-{number}" for number in range(3)]
    # The service's own order is the newest first; the command sorts what it got.
    assert names("--sort name:asc --limit 2 --marker osc-list-2") == ["osc-list-0", "osc-list-1"]
    assert names("--public") == names("--hidden") == names("--status active") == []
    assert ours.read("image list --long --name osc-list-0")[0]["Disk Format"] == "raw"
    ours.run("image delete osc-list-0 osc-list-1 osc-list-2")


def test_sharing_from_add_project_to_remove_project(ours: CommandLine, guests: CommandLine) -> None:
    image_id = ours.read("image create osc-shared --disk-format raw --shared")["id"]
    guests.refused(f"image show {image_id}")
    added = ours.read(f"image add project osc-shared {guests.project_id}")
    assert (added["member_id"], added["status"]) == (guests.project_id, "pending")
    ours.refused(f"image add project osc-shared {guests.project_id}")
    [member] = ours.read("image member list osc-shared")
    assert member == {"Image ID": image_id, "Member ID": guests.project_id, "Status": "pending"}

    def seen(options: str = "") -> bool:
        return image_id in {one["ID"] for one in guests.read(f"image list {options}")}

    assert (seen(), seen("--shared --member-status pending"), seen("--member-status all")) == (False, True, True)
    guests.run(f"image set --accept {image_id}")
    assert (seen(), seen("--shared")) == (True, True)
    assert guests.read(f"image member get {image_id} {guests.project_id}")["status"] == "accepted"
    guests.refused(f"image set --name mine {image_id}")
    guests.run(f"image set --reject {image_id}")
    assert (seen(), seen("--shared --member-status rejected")) == (False, True)
    ours.run(f"image remove project osc-shared {guests.project_id}")
    guests.refused(f"image show {image_id}")
    ours.run("image delete osc-shared")


def test_metadata_definitions_from_namespace_create_to_delete(
    admin: CommandLine, ours: CommandLine, guests: CommandLine
) -> None:
    metadef = "image metadef"
    made = admin.read(f"{metadef} namespace create OSC --display-name Osc --description text --public")
    assert (made["namespace"], made["visibility"], made["protected"]) == ("OSC", "public", False)
    admin.run(f"{metadef} namespace set OSC --display-name Osc2 --public --tag one --tag two")
    admin.run(f"{metadef} resource type association create OSC OS::Nova::Server")
    schema = '\'{"enum": ["a", "b"], "default": "a"}\''
    admin.run(f"{metadef} property create OSC --name size --title Size --type string --schema {schema}")
    admin.run(f"{metadef} property set OSC size --name length --title Length")
    admin.run(f"{metadef} object create --namespace OSC disk")
    admin.run(f"{metadef} object update OSC disk --name drive")
    shown = ours.read(f"{metadef} namespace show OSC")
    assert shown["display_name"] == "Osc2"
    assert shown["resource_type_associations"] == ["OS::Nova::Server"]
    assert {"namespace": "OSC"} in ours.read(f"{metadef} namespace list --resource-types OS::Nova::Server")
    assert ours.read(f"{metadef} property show OSC length")["title"] == "Length"
    assert [one["name"] for one in ours.read(f"{metadef} property list OSC")] == ["length"]
    assert [one["name"] for one in ours.read(f"{metadef} object list OSC")] == ["drive"]
    assert ours.read(f"{metadef} object show OSC drive")["name"] == "drive"
    assert "OS::Glance::Image" in {one["Name"] for one in ours.read(f"{metadef} resource type list")}
    assert len(ours.read(f"{metadef} resource type association list OSC")) == 1
    ours.refused(f"{metadef} namespace delete OSC")
    ours.refused(f"{metadef} object delete OSC drive")
    admin.run(f"{metadef} namespace unset OSC --tag one")
    admin.run(f"{metadef} namespace unset OSC --all-tags")
    admin.run(f"{metadef} resource type association delete OSC OS::Nova::Server")
    admin.run(f"{metadef} object delete OSC drive")
    admin.run(f"{metadef} property delete OSC length")
    admin.run(f"{metadef} namespace set OSC --protected --private")
    guests.refused(f"{metadef} namespace show OSC")
    admin.refused(f"{metadef} namespace delete OSC")
    admin.run(f"{metadef} namespace set OSC --unprotected")
    admin.run(f"{metadef} namespace delete OSC")
    assert "Stillframe::Image::Machine" in {one["namespace"] for one in ours.read(f"{metadef} namespace list")}


@pytest.fixture(scope="module")
def sdk(system: System) -> Iterator[Connection]:
    account = system.cloud("stillframe-admin")
    with openstack.connect(region_name=account["region_name"], auth=account["auth"], identity_api_version="3") as made:
        yield made


def test_openstacksdk_reads_and_writes_metadata_definitions(sdk: Connection) -> None:
    image = sdk.image
    namespace = image.create_metadef_namespace(namespace="SDK", visibility="public", protected=False)
    image.create_metadef_object(namespace="SDK", name="disk", properties={"bus": {"title": "Bus", "type": "string"}})
    assert image.get_metadef_object("disk", "SDK").properties["bus"]["title"] == "Bus"
    made = image.create_metadef_property("SDK", name="size", title="Size", type="integer", minimum=1, default="5")
    assert (made.type, made.minimum, made.default) == ("integer", 1, "5")
    assert image.update_metadef_property(made, "SDK", name="size", title="New", type="integer").title == "New"
    assert [one.name for one in image.metadef_properties("SDK")] == ["size"]
    image.create_metadef_resource_type_association("SDK", name="OS::Cinder::Volume", prefix="v_")
    assert [one.prefix for one in image.metadef_resource_type_associations("SDK")] == ["v_"]
    namespace.set_tags(image, ["a", "b"])
    namespace.add_tag(image, "c")
    namespace.set_tags(image, ["d"], append=True)
    assert image.get(f"/metadefs/namespaces/{namespace.namespace}/tags").json()["tags"][0] == {"name": "d"}
    assert image.get_metadef_namespace("SDK").visibility == "public"
    schemas = [
        image.get_metadef_namespace_schema(),
        image.get_metadef_property_schema(),
        image.get_metadef_tag_schema(),
    ]
    assert all(schema.properties for schema in schemas)
    image.delete_all_metadef_objects("SDK")
    image.delete_all_metadef_properties("SDK")
    image.delete_metadef_namespace("SDK")
    assert "SDK" not in {one.namespace for one in image.metadef_namespaces()}
