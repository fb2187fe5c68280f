variable "region" {
  description = "AWS region."
  type        = string
}

variable "bucket" {
  description = "Name of the bucket for datasets, models and MLflow's files; unique in all of AWS."
  type        = string
}

variable "kubernetes_version" {
  description = "Kubernetes version of the cluster."
  type        = string
  default     = "1.34"
}

variable "api_access" {
  description = "Networks that may reach the cluster's API, such as your office's: [\"203.0.113.0/24\"]."
  type        = list(string)

  validation {
    condition     = length(var.api_access) > 0 && !contains(var.api_access, "0.0.0.0/0")
    error_message = "api_access: name the networks that you work from; 0.0.0.0/0 is everybody."
  }
}

variable "pools" {
  description = "Node pools. Those with gpu or spot are tainted, and start without a node."
  type = map(object({
    instance_types = list(string)
    smallest       = number
    largest        = number
    disk_gb        = number
    gpu            = optional(bool, false)
    spot           = optional(bool, false)
  }))
  default = {
    cpu      = { instance_types = ["m7i.4xlarge"], smallest = 1, largest = 4, disk_gb = 200 }
    gpu      = { instance_types = ["g6.4xlarge"], smallest = 0, largest = 4, disk_gb = 200, gpu = true }
    gpu-spot = { instance_types = ["g6.4xlarge", "g5.4xlarge"], smallest = 0, largest = 8, disk_gb = 200, gpu = true, spot = true }
  }

  validation {
    condition     = alltrue([for pool in values(var.pools) : pool.smallest == 0 || !(pool.gpu || pool.spot)])
    error_message = "pools: a pool with gpu or spot starts from smallest = 0, so that it costs nothing while nothing runs."
  }
  validation {
    condition     = anytrue([for pool in values(var.pools) : pool.smallest > 0])
    error_message = "pools: one pool without gpu and spot needs smallest = 1 or more, for the services."
  }
}

variable "keep_unfinished_days" {
  description = "Days after which S3 removes the parts of an upload that was cut off."
  type        = number
  default     = 7
}

variable "keep_replaced_days" {
  description = "Days for which S3 keeps the old version of an object that was replaced or deleted."
  type        = number
  default     = 30
}
