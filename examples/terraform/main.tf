# A network of its own for the server that becomes an image.

resource "opentelekomcloud_vpc_v1" "build" {
  name = "image-build"
  cidr = "10.20.0.0/16"
}

resource "opentelekomcloud_vpc_subnet_v1" "build" {
  name       = "image-build"
  vpc_id     = opentelekomcloud_vpc_v1.build.id
  cidr       = "10.20.1.0/24"
  gateway_ip = "10.20.1.1"
}

resource "opentelekomcloud_networking_secgroup_v2" "build" {
  name        = "image-build"
  description = "ssh from the build network only"
}

resource "opentelekomcloud_networking_secgroup_rule_v2" "ssh" {
  security_group_id = opentelekomcloud_networking_secgroup_v2.build.id
  direction         = "ingress"
  ethertype         = "IPv4"
  protocol          = "tcp"
  port_range_min    = 22
  port_range_max    = 22
  remote_ip_prefix  = opentelekomcloud_vpc_subnet_v1.build.cidr
}

# The server, with a data disk. It is shut off once it is there: only a stopped server becomes an image.

resource "opentelekomcloud_compute_keypair_v2" "build" {
  name = "image-build"
}

data "opentelekomcloud_images_image_v2" "public" {
  name       = var.public_image
  visibility = "public"
}

resource "opentelekomcloud_compute_instance_v2" "build" {
  name            = "image-build"
  image_id        = data.opentelekomcloud_images_image_v2.public.id
  flavor_id       = var.flavor
  key_pair        = opentelekomcloud_compute_keypair_v2.build.name
  security_groups = [opentelekomcloud_networking_secgroup_v2.build.name]
  power_state     = "shutoff"

  network {
    uuid = opentelekomcloud_vpc_subnet_v1.build.network_id
  }

  tags = {
    purpose = "image-build"
  }
}

resource "opentelekomcloud_evs_volume_v3" "data" {
  name              = "image-build-data"
  availability_zone = opentelekomcloud_compute_instance_v2.build.availability_zone
  size              = 10
  volume_type       = "SSD"
}

resource "opentelekomcloud_compute_volume_attach_v2" "data" {
  instance_id = opentelekomcloud_compute_instance_v2.build.id
  volume_id   = opentelekomcloud_evs_volume_v3.data.id
}

# An image of each disk.

resource "opentelekomcloud_ims_image_v2" "golden" {
  name        = "golden"
  description = "The system disk, as the build left it"
  instance_id = opentelekomcloud_compute_volume_attach_v2.data.instance_id

  tags = {
    team  = "blue"
    stage = "test"
  }
}

resource "opentelekomcloud_ims_data_image_v2" "golden" {
  name        = "golden-data"
  description = "The data disk that goes with it"
  volume_id   = opentelekomcloud_evs_volume_v3.data.id

  tags = {
    team = "blue"
  }

  # Only one image at a time is made of a server's disks.
  depends_on = [opentelekomcloud_ims_image_v2.golden]
}

# Shared with another project, which accepts it.

resource "opentelekomcloud_images_image_access_v2" "consumer" {
  image_id  = opentelekomcloud_ims_image_v2.golden.id
  member_id = var.consumer_project_id
}

resource "opentelekomcloud_images_image_access_accept_v2" "consumer" {
  provider = opentelekomcloud.consumer

  image_id  = opentelekomcloud_images_image_access_v2.consumer.image_id
  member_id = opentelekomcloud_images_image_access_v2.consumer.member_id
  status    = "accepted"
}
