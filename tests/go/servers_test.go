package stillframe

import (
	"testing"

	"github.com/opentelekomcloud/gophertelekomcloud/openstack/blockstorage/v3/volumes"
	"github.com/opentelekomcloud/gophertelekomcloud/openstack/compute/v2/extensions/keypairs"
	"github.com/opentelekomcloud/gophertelekomcloud/openstack/compute/v2/extensions/startstop"
	"github.com/opentelekomcloud/gophertelekomcloud/openstack/compute/v2/extensions/volumeattach"
	"github.com/opentelekomcloud/gophertelekomcloud/openstack/compute/v2/servers"
	"github.com/opentelekomcloud/gophertelekomcloud/openstack/ims/v2/images"
	"github.com/opentelekomcloud/gophertelekomcloud/openstack/networking/v1/subnets"
	"github.com/opentelekomcloud/gophertelekomcloud/openstack/networking/v1/vpcs"
	th "github.com/opentelekomcloud/gophertelekomcloud/testhelper"
)

// newSubnet makes a VPC with one subnet; both are deleted with the test.
func newSubnet(t *testing.T, cloud *clients) *subnets.Subnet {
	t.Helper()
	vpc, err := vpcs.Create(cloud.networkV1, vpcs.CreateOpts{Name: "by-go", CIDR: "10.77.0.0/16"}).Extract()
	th.AssertNoErr(t, err)
	t.Cleanup(func() { th.CheckNoErr(t, vpcs.Delete(cloud.networkV1, vpc.ID).ExtractErr()) })

	withDHCP := true
	subnet, err := subnets.Create(cloud.networkV1, subnets.CreateOpts{
		Name:       "by-go",
		CIDR:       "10.77.1.0/24",
		GatewayIP:  "10.77.1.1",
		EnableDHCP: &withDHCP,
		VpcID:      vpc.ID,
	}).Extract()
	th.AssertNoErr(t, err)
	t.Cleanup(func() { deleteSubnet(t, cloud, subnet) })
	waitUntil(t, "the subnet is active", func() (bool, error) {
		found, err := subnets.Get(cloud.networkV1, subnet.ID).Extract()
		return err == nil && found.Status == "ACTIVE", err
	})
	return subnet
}

func deleteSubnet(t *testing.T, cloud *clients, subnet *subnets.Subnet) {
	t.Helper()
	th.CheckNoErr(t, subnets.Delete(cloud.networkV1, subnet.VpcID, subnet.ID).ExtractErr())
	waitUntil(t, "the subnet is gone", func() (bool, error) {
		_, err := subnets.Get(cloud.networkV1, subnet.ID).Extract()
		return gone(err)
	})
}

func publicImage(t *testing.T, cloud *clients) string {
	t.Helper()
	found, err := images.ListImages(cloud.imsV2, images.ListImagesOpts{Name: tinyImage, ImageType: "gold"})
	th.AssertNoErr(t, err)
	th.AssertEquals(t, 1, len(found))
	return found[0].Id
}

// newServer makes a server with a key of its own in a subnet, and waits until it runs.
func newServer(t *testing.T, cloud *clients, name string, subnet *subnets.Subnet) *servers.Server {
	t.Helper()
	key, err := keypairs.Create(cloud.computeV2, keypairs.CreateOpts{Name: name}).Extract()
	th.AssertNoErr(t, err)
	th.AssertEquals(t, true, key.PrivateKey != "")
	t.Cleanup(func() { th.CheckNoErr(t, keypairs.Delete(cloud.computeV2, name).ExtractErr()) })

	wanted := servers.CreateOpts{
		Name:           name,
		ImageRef:       publicImage(t, cloud),
		FlavorRef:      tinyFlavor,
		SecurityGroups: []string{"default"},
		Networks:       []servers.Network{{UUID: subnet.ID}},
		Metadata:       map[string]string{"made-by": "go"},
	}
	created, err := servers.Create(cloud.computeV2, keypairs.CreateOptsExt{
		CreateOptsBuilder: wanted, KeyName: key.Name,
	}).Extract()
	th.AssertNoErr(t, err)
	t.Cleanup(func() { deleteServer(t, cloud, created.ID) })
	th.AssertNoErr(t, servers.WaitForStatus(cloud.computeV2, created.ID, "ACTIVE", patienceS))

	server, err := servers.Get(cloud.computeV2, created.ID).Extract()
	th.AssertNoErr(t, err)
	th.AssertEquals(t, "go", server.Metadata["made-by"])
	th.AssertEquals(t, name, server.KeyName)
	th.AssertEquals(t, 1, len(server.Addresses))
	return server
}

func stopServer(t *testing.T, cloud *clients, serverID string) {
	t.Helper()
	th.AssertNoErr(t, startstop.Stop(cloud.computeV2, serverID).ExtractErr())
	th.AssertNoErr(t, servers.WaitForStatus(cloud.computeV2, serverID, "SHUTOFF", patienceS))
}

func deleteServer(t *testing.T, cloud *clients, serverID string) {
	t.Helper()
	th.CheckNoErr(t, servers.Delete(cloud.computeV2, serverID).ExtractErr())
	waitUntil(t, "the server is gone", func() (bool, error) {
		_, err := servers.Get(cloud.computeV2, serverID).Extract()
		return gone(err)
	})
}

// attachNewVolume gives the server a data disk of 1 GiB, detached and deleted with the test.
func attachNewVolume(t *testing.T, cloud *clients, serverID string) string {
	t.Helper()
	volume, err := volumes.Create(cloud.volumeV3, volumes.CreateOpts{Name: "by-go", Size: 1}).Extract()
	th.AssertNoErr(t, err)
	t.Cleanup(func() { deleteVolume(t, cloud, volume.ID) })
	waitForVolume(t, cloud, volume.ID, "available")
	_, err = volumeattach.Create(cloud.computeV2, serverID, volumeattach.CreateOpts{VolumeID: volume.ID}).Extract()
	th.AssertNoErr(t, err)
	t.Cleanup(func() { detachVolume(t, cloud, serverID, volume.ID) })
	waitForVolume(t, cloud, volume.ID, "in-use")
	return volume.ID
}

func waitForVolume(t *testing.T, cloud *clients, volumeID, status string) {
	t.Helper()
	waitUntil(t, "the volume is "+status, func() (bool, error) {
		volume, err := volumes.Get(cloud.volumeV3, volumeID).Extract()
		return err == nil && volume.Status == status, err
	})
}

func detachVolume(t *testing.T, cloud *clients, serverID, volumeID string) {
	t.Helper()
	th.CheckNoErr(t, volumeattach.Delete(cloud.computeV2, serverID, volumeID).ExtractErr())
	waitForVolume(t, cloud, volumeID, "available")
}

func deleteVolume(t *testing.T, cloud *clients, volumeID string) {
	t.Helper()
	th.CheckNoErr(t, volumes.Delete(cloud.volumeV3, volumeID).ExtractErr())
	waitUntil(t, "the volume is gone", func() (bool, error) {
		_, err := volumes.Get(cloud.volumeV3, volumeID).Extract()
		return gone(err)
	})
}
