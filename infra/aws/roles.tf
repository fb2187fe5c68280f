# Roles that service accounts take on, so that no key is stored anywhere: each may be taken by one account only.
data "tls_certificate" "issuer" {
  url = aws_eks_cluster.this.identity[0].oidc[0].issuer
}

resource "aws_iam_openid_connect_provider" "this" {
  url             = aws_eks_cluster.this.identity[0].oidc[0].issuer
  client_id_list  = ["sts.amazonaws.com"]
  thumbprint_list = [data.tls_certificate.issuer.certificates[0].sha1_fingerprint]
}

locals {
  issuer = trimprefix(aws_eks_cluster.this.identity[0].oidc[0].issuer, "https://")
  service_accounts = {
    maskx-step         = "kubeflow:maskx-step"
    maskx-mlflow       = "maskx:mlflow"
    cluster-autoscaler = "kube-system:cluster-autoscaler"
    aws-ebs-csi-driver = "kube-system:ebs-csi-controller-sa"
    aws-efs-csi-driver = "kube-system:efs-csi-controller-sa"
  }
}

data "aws_iam_policy_document" "service_account_trust" {
  for_each = local.service_accounts
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [aws_iam_openid_connect_provider.this.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:sub"
      values   = ["system:serviceaccount:${each.value}"]
    }
    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }
  }
}

# A step's role holds for twelve hours at most; the SDK renews it while a training goes on.
resource "aws_iam_role" "service_account" {
  for_each             = local.service_accounts
  name                 = startswith(each.key, "maskx-") ? each.key : "maskx-${each.key}"
  assume_role_policy   = data.aws_iam_policy_document.service_account_trust[each.key].json
  max_session_duration = 43200
}

# Steps read and write the whole bucket; the tracking server its own folder.
data "aws_iam_policy_document" "bucket" {
  for_each = { maskx-step = "*", maskx-mlflow = "mlflow/*" }
  statement {
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
    resources = ["${aws_s3_bucket.this.arn}/${each.value}"]
  }
  statement {
    actions   = ["s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:GetBucketLocation"]
    resources = [aws_s3_bucket.this.arn]
  }
}

resource "aws_iam_role_policy" "bucket" {
  for_each = data.aws_iam_policy_document.bucket
  name     = "bucket"
  role     = aws_iam_role.service_account[each.key].id
  policy   = each.value.json
}

# The autoscaler sees all groups, and changes those of this cluster.
data "aws_iam_policy_document" "autoscaler" {
  statement {
    actions = [
      "autoscaling:DescribeAutoScalingGroups",
      "autoscaling:DescribeAutoScalingInstances",
      "autoscaling:DescribeLaunchConfigurations",
      "autoscaling:DescribeScalingActivities",
      "autoscaling:DescribeTags",
      "ec2:DescribeImages",
      "ec2:DescribeInstanceTypes",
      "ec2:DescribeLaunchTemplateVersions",
      "ec2:GetInstanceTypesFromInstanceRequirements",
    ]
    resources = ["*"]
  }
  statement {
    actions   = ["eks:DescribeNodegroup"]
    resources = [for group in aws_eks_node_group.pool : group.arn]
  }
  statement {
    actions   = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
    resources = ["*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/k8s.io/cluster-autoscaler/${aws_eks_cluster.this.name}"
      values   = ["owned"]
    }
  }
}

resource "aws_iam_role_policy" "autoscaler" {
  name   = "autoscaler"
  role   = aws_iam_role.service_account["cluster-autoscaler"].id
  policy = data.aws_iam_policy_document.autoscaler.json
}

resource "aws_iam_role_policy_attachment" "storage_driver" {
  for_each = {
    aws-ebs-csi-driver = "AmazonEBSCSIDriverPolicy"
    aws-efs-csi-driver = "AmazonEFSCSIDriverPolicy"
  }
  role       = aws_iam_role.service_account[each.key].name
  policy_arn = "arn:aws:iam::aws:policy/service-role/${each.value}"
}
