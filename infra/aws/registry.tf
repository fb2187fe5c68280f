# Where the images lie. A tag is never given twice; manifests name digests.
resource "aws_ecr_repository" "image" {
  for_each             = toset(["maskx", "maskx-data", "maskx-serve", "maskx-tracking"])
  name                 = each.key
  image_tag_mutability = "IMMUTABLE"
  image_scanning_configuration {
    scan_on_push = true
  }
}
