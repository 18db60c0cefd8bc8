variable "public_image" {
  description = "The public image that the server is made of."
  type        = string
  default     = "stillframe-tiny"
}

variable "flavor" {
  type    = string
  default = "s3.small.1"
}

variable "consumer_user_name" {
  description = "An account of the project that the image is shared with."
  type        = string
}

variable "consumer_password" {
  type      = string
  sensitive = true
}

variable "consumer_project_name" {
  type = string
}

variable "consumer_project_id" {
  description = "Images are shared with a project by its id."
  type        = string
}
