package stillframe

import (
	"bytes"
	"testing"

	"github.com/opentelekomcloud/gophertelekomcloud/openstack/common/tags"
	glance "github.com/opentelekomcloud/gophertelekomcloud/openstack/image/v2/images"
	"github.com/opentelekomcloud/gophertelekomcloud/openstack/image/v2/members"
	ims1 "github.com/opentelekomcloud/gophertelekomcloud/openstack/ims/v1/images"
	batches "github.com/opentelekomcloud/gophertelekomcloud/openstack/ims/v1/members"
	"github.com/opentelekomcloud/gophertelekomcloud/openstack/ims/v1/others"
	"github.com/opentelekomcloud/gophertelekomcloud/openstack/ims/v2/images"
	memberlists "github.com/opentelekomcloud/gophertelekomcloud/openstack/ims/v2/members"
	imagetags "github.com/opentelekomcloud/gophertelekomcloud/openstack/ims/v2/tags"
	th "github.com/opentelekomcloud/gophertelekomcloud/testhelper"
)

// TestImagesFromCaptureToDeletion is the whole life of an image: made of a stopped server, found, tagged, copied,
// shared, exported, imported again, deleted.
func TestImagesFromCaptureToDeletion(t *testing.T) {
	cloud := byPassword(t, "OS_")
	server := newServer(t, cloud, "by-go", newSubnet(t, cloud))
	volumeID := attachNewVolume(t, cloud, server.ID)
	stopServer(t, cloud, server.ID)

	captured := capture(t, cloud, server.ID)
	t.Run("it is found", func(t *testing.T) { checkCaptured(t, cloud, captured, server.ID) })
	t.Run("it is tagged", func(t *testing.T) { checkTags(t, cloud, captured) })
	t.Run("it is renamed", func(t *testing.T) { checkRename(t, cloud, captured) })
	t.Run("it is copied", func(t *testing.T) { checkCopy(t, cloud, captured) })
	t.Run("it is shared and accepted", func(t *testing.T) { checkSharing(t, cloud, captured) })
	t.Run("it is shared by the batch calls", func(t *testing.T) { checkBatchSharing(t, cloud, captured) })
	t.Run("it is exported and imported", func(t *testing.T) { checkExport(t, cloud, captured) })
	t.Run("the data disk becomes an image", func(t *testing.T) { checkDataImage(t, cloud, volumeID) })
	t.Run("the system disk becomes an image", func(t *testing.T) { checkDiskImage(t, cloud, server.VolumesAttached[0].ID) })
	t.Run("the whole server becomes an image", func(t *testing.T) { checkWholeImage(t, cloud, server.ID) })
	t.Run("an image is uploaded", func(t *testing.T) { checkUpload(t, cloud) })
}

// TestSignedRequests shows that an access key does what a token does.
func TestSignedRequests(t *testing.T) {
	cloud := bySignature(t)
	th.AssertEquals(t, true, cloud.provider.ProjectID != "")
	publicImage(t, cloud)
	quotas, err := others.ShowImageQuota(cloud.imsV1)
	th.AssertNoErr(t, err)
	th.AssertEquals(t, "image", quotas[0].Type)
}

func capture(t *testing.T, cloud *clients, serverID string) string {
	t.Helper()
	job, err := images.CreateImageFromECS(cloud.imsV2, images.CreateImageFromECSOpts{
		Name:        "golden-by-go",
		Description: "Image creation from an ECS",
		InstanceId:  serverID,
		Tags:        []string{"aaa.111", "rancher"},
		MaxRam:      4096,
	})
	th.AssertNoErr(t, err)
	return finishedImage(t, cloud, job)
}

// finishedImage waits for the job, and deletes the image it made with the test.
func finishedImage(t *testing.T, cloud *clients, jobID *string) string {
	t.Helper()
	th.AssertNoErr(t, others.WaitForJob(cloud.imsV1, *jobID, patienceS))
	job, err := others.ShowJob(cloud.imsV1, *jobID)
	th.AssertNoErr(t, err)
	imageID := job.Entities.ImageId
	if imageID == "" {
		imageID = job.Entities.SubJobsResult[0].Entities.ImageId
	}
	t.Cleanup(func() { deleteImage(t, cloud, imageID) })
	return imageID
}

func deleteImage(t *testing.T, cloud *clients, imageID string) {
	t.Helper()
	th.CheckNoErr(t, glance.Delete(cloud.imsV2, glance.DeleteImageOpts{ImageId: imageID, DeleteBackup: true}))
	left, err := images.ListImages(cloud.imsV2, images.ListImagesOpts{Id: imageID})
	th.CheckNoErr(t, err)
	th.CheckEquals(t, 0, len(left))
}

func show(t *testing.T, cloud *clients, imageID string) images.ImageInfo {
	t.Helper()
	found, err := images.ListImages(cloud.imsV2, images.ListImagesOpts{Id: imageID})
	th.AssertNoErr(t, err)
	th.AssertEquals(t, 1, len(found))
	return found[0]
}

func checkCaptured(t *testing.T, cloud *clients, imageID, serverID string) {
	image := show(t, cloud, imageID)
	th.AssertEquals(t, "golden-by-go", image.Name)
	th.AssertEquals(t, "active", image.Status)
	th.AssertEquals(t, "private", image.Imagetype)
	th.AssertEquals(t, "4096", image.MaxRam)
	th.AssertEquals(t, "instance,"+serverID, image.DataOrigin)
	native, err := glance.Get(cloud.imsV2, imageID)
	th.AssertNoErr(t, err)
	th.AssertEquals(t, image.Name, native.Name)
}

func checkTags(t *testing.T, cloud *clients, imageID string) {
	given, err := imagetags.ListImageTags(cloud.imsV2, imageID)
	th.AssertNoErr(t, err)
	th.AssertDeepEquals(t, []tags.ResourceTag{{Key: "aaa", Value: "111"}, {Key: "rancher", Value: ""}}, given)

	added := tags.ResourceTag{Key: "team", Value: "blue"}
	th.AssertNoErr(t, imagetags.AddImageTag(cloud.imsV2, imagetags.AddImageTagOpts{ImageId: imageID, Tag: added}))
	th.AssertNoErr(t, imagetags.DeleteImageTag(cloud.imsV2, imagetags.DeleteImageTagOpts{ImageId: imageID, Key: "rancher"}))
	th.AssertNoErr(t, imagetags.BatchAddOrDeleteTags(cloud.imsV2, imagetags.BatchAddOrDeleteTagsOpts{
		ImageId: imageID, Action: "create", Tags: []tags.ResourceTag{{Key: "stage", Value: "test"}},
	}))
	counted, err := imagetags.ListImageByTags(cloud.imsV2, imagetags.ListImageByTagsOpts{
		Action: "count", Tags: []tags.ListedTag{{Key: "team", Values: []string{"blue"}}}, Limit: "1",
	})
	th.AssertNoErr(t, err)
	th.AssertEquals(t, 1, counted.TotalCount)
	used, err := imagetags.ListImagesTags(cloud.imsV2)
	th.AssertNoErr(t, err)
	th.AssertEquals(t, true, len(used) >= 3)
}

func checkRename(t *testing.T, cloud *clients, imageID string) {
	renamed, err := images.UpdateImage(cloud.imsV2, imageID, []images.UpdateImageOpts{
		{Op: "replace", Path: "/name", Value: "renamed-by-go"},
	})
	th.AssertNoErr(t, err)
	th.AssertEquals(t, "renamed-by-go", renamed.Name)
	protected, err := glance.Update(cloud.imsV2, imageID, []images.UpdateImageOpts{
		{Op: "replace", Path: "/name", Value: "golden-by-go"},
	})
	th.AssertNoErr(t, err)
	th.AssertEquals(t, "golden-by-go", protected.Name)
}

func checkCopy(t *testing.T, cloud *clients, imageID string) {
	job, err := others.CopyImageInRegion(cloud.imsV1, others.CopyImageInRegionOpts{ImageId: imageID, Name: "copied-by-go"})
	th.AssertNoErr(t, err)
	copied := show(t, cloud, finishedImage(t, cloud, job))
	th.AssertEquals(t, "copied-by-go", copied.Name)
	th.AssertEquals(t, "active", copied.Status)
}

func checkSharing(t *testing.T, cloud *clients, imageID string) {
	other := byPassword(t, "OTHER_")
	shared := members.MemberOpts{ImageId: imageID, MemberId: other.provider.ProjectID}
	offer, err := members.Create(cloud.imsV2, shared)
	th.AssertNoErr(t, err)
	th.AssertEquals(t, "pending", offer.Status)

	accepted, err := members.Update(other.imsV2, members.UpdateOpts{
		ImageId: imageID, MemberId: other.provider.ProjectID, Status: "accepted",
	})
	th.AssertNoErr(t, err)
	th.AssertEquals(t, "accepted", accepted.Status)
	th.AssertEquals(t, "shared", show(t, other, imageID).Imagetype)
	seen, err := members.Get(cloud.imsV2, shared)
	th.AssertNoErr(t, err)
	th.AssertEquals(t, "accepted", seen.Status)
	listed, err := memberlists.ListMembers(cloud.imsV2, imageID)
	th.AssertNoErr(t, err)
	th.AssertEquals(t, 1, len(listed.Members))
	th.AssertNoErr(t, members.Delete(cloud.imsV2, shared))
	th.AssertEquals(t, "private", show(t, cloud, imageID).Visibility)
}

func checkBatchSharing(t *testing.T, cloud *clients, imageID string) {
	other := byPassword(t, "OTHER_")
	wanted := batches.BatchMembersOpts{Images: []string{imageID}, Projects: []string{other.provider.ProjectID}}
	job, err := batches.BatchAddMembers(cloud.imsV1, wanted)
	checkMemberJob(t, cloud, job, err)
	job, err = batches.BatchUpdateMembers(other.imsV1, batches.BatchUpdateMembersOpts{
		Images: []string{imageID}, ProjectId: other.provider.ProjectID, Status: "accepted",
	})
	checkMemberJob(t, other, job, err)
	th.AssertEquals(t, "shared", show(t, other, imageID).Imagetype)
	job, err = batches.BatchDeleteMembers(cloud.imsV1, wanted)
	checkMemberJob(t, cloud, job, err)
}

func checkMemberJob(t *testing.T, cloud *clients, jobID *string, err error) {
	t.Helper()
	th.AssertNoErr(t, err)
	th.AssertNoErr(t, others.WaitForJob(cloud.imsV1, *jobID, patienceS))
	job, err := others.ShowJob(cloud.imsV1, *jobID)
	th.AssertNoErr(t, err)
	th.AssertEquals(t, "success", job.Entities.Results[0].Status)
}

// checkExport writes to a bucket that is there already: the built-in object storage checks none of the signatures which
// gophertelekomcloud's own OBS client makes.
func checkExport(t *testing.T, cloud *clients, imageID string) {
	object := setting(t, "EXPORT_BUCKET") + ":golden.qcow2"
	job, err := ims1.ExportImage(cloud.imsV1, ims1.ExportImageOpts{
		ImageId: imageID, BucketUrl: object, FileFormat: "qcow2",
	})
	th.AssertNoErr(t, err)
	th.AssertNoErr(t, others.WaitForJob(cloud.imsV1, *job, patienceS))
	t.Run("as a system disk", func(t *testing.T) {
		job, err := images.CreateImageFromOBS(cloud.imsV2, images.CreateImageFromOBSOpts{
			Name: "imported-by-go", OsVersion: "Other Linux(64 bit)", ImageUrl: object, MinDisk: 1, Tags: []string{"rancher"},
		})
		th.AssertNoErr(t, err)
		th.AssertEquals(t, "active", show(t, cloud, finishedImage(t, cloud, job)).Status)
	})
	t.Run("as a data disk", func(t *testing.T) {
		job, err := ims1.CreateDataImage(cloud.imsV1, ims1.CreateDataImageOpts{
			Name: "data-by-go", ImageUrl: object, MinDisk: 1,
		})
		th.AssertNoErr(t, err)
		th.AssertEquals(t, "DataImage", show(t, cloud, finishedImage(t, cloud, job)).VirtualEnvType)
	})
}

func checkDataImage(t *testing.T, cloud *clients, volumeID string) {
	job, err := images.CreateImageFromECS(cloud.imsV2, images.CreateImageFromECSOpts{
		DataImages: []images.ECSDataImage{{Name: "data-by-go", VolumeId: volumeID, Tags: []string{"disk.data"}}},
	})
	th.AssertNoErr(t, err)
	th.AssertEquals(t, "DataImage", show(t, cloud, finishedImage(t, cloud, job)).VirtualEnvType)
}

func checkDiskImage(t *testing.T, cloud *clients, volumeID string) {
	job, err := images.CreateImageFromDisk(cloud.imsV2, images.CreateImageFromDiskOpts{
		Name: "disk-by-go", VolumeId: volumeID, OsVersion: "Debian GNU/Linux 10.0.0 64bit",
	})
	th.AssertNoErr(t, err)
	th.AssertEquals(t, "Debian GNU/Linux 10.0.0 64bit", show(t, cloud, finishedImage(t, cloud, job)).OsVersion)
}

func checkWholeImage(t *testing.T, cloud *clients, serverID string) {
	job, err := ims1.CreateWholeImageFromECS(cloud.imsV1, ims1.CreateWholeImageFromECSOpts{
		Name: "whole-by-go", InstanceId: serverID,
	})
	th.AssertNoErr(t, err)
	th.AssertEquals(t, "active", show(t, cloud, finishedImage(t, cloud, job)).Status)
}

func checkUpload(t *testing.T, cloud *clients) {
	image, err := glance.Create(cloud.imsV2, glance.CreateOpts{
		Name: "uploaded-by-go", DiskFormat: "raw", ContainerFormat: "bare", Visibility: "private",
	})
	th.AssertNoErr(t, err)
	t.Cleanup(func() { deleteImage(t, cloud, image.Id) })
	th.AssertEquals(t, "queued", image.Status)
	th.AssertNoErr(t, glance.Upload(cloud.imsV2, image.Id, bytes.NewReader(make([]byte, 1<<20))))
	uploaded, err := glance.Get(cloud.imsV2, image.Id)
	th.AssertNoErr(t, err)
	th.AssertEquals(t, "active", uploaded.Status)
	th.AssertEquals(t, 1<<20, uploaded.Size)
}
