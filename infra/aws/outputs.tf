data "aws_caller_identity" "this" {}

output "account" {
  description = "ACCOUNT of infra/kubernetes/overlays/gpu."
  value       = data.aws_caller_identity.this.account_id
}

output "region" {
  description = "REGION."
  value       = var.region
}

output "bucket" {
  description = "BUCKET."
  value       = aws_s3_bucket.this.id
}

output "file_system" {
  description = "fs-FILESYSTEM."
  value       = aws_efs_file_system.this.id
}

output "registry" {
  description = "REGISTRY."
  value       = split("/", aws_ecr_repository.image["maskx"].repository_url)[0]
}
