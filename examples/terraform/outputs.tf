output "image_id" {
  description = "Boot the next server from this."
  value       = opentelekomcloud_ims_image_v2.golden.id
}

output "data_image_id" {
  value = opentelekomcloud_ims_data_image_v2.golden.id
}
