terraform {
  required_version = ">= 1.5"

  required_providers {
    opentelekomcloud = {
      source  = "opentelekomcloud/opentelekomcloud"
      version = ">= 1.36"
    }
  }
}

# Everything comes from the environment: OS_AUTH_URL, OS_USERNAME, OS_PASSWORD, OS_DOMAIN_NAME, OS_TENANT_NAME,
# OS_REGION_NAME.
provider "opentelekomcloud" {}

# The project that the image is shared with, by an account of its own.
provider "opentelekomcloud" {
  alias       = "consumer"
  user_name   = var.consumer_user_name
  password    = var.consumer_password
  tenant_name = var.consumer_project_name
}
