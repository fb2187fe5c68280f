# Node pools with the label maskx/pool. Taints keep pods off GPU and spot nodes that do not ask for them.
data "aws_iam_policy_document" "node_trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "node" {
  name               = "maskx-node"
  assume_role_policy = data.aws_iam_policy_document.node_trust.json
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each   = toset(["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly"])
  role       = aws_iam_role.node.name
  policy_arn = "arn:aws:iam::aws:policy/${each.key}"
}

# Encrypted disks. One hop: pods do not reach the node's credentials.
resource "aws_launch_template" "pool" {
  for_each    = var.pools
  name_prefix = "maskx-${each.key}-"

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size = each.value.disk_gb
      volume_type = "gp3"
      encrypted   = true
    }
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
}

resource "aws_eks_node_group" "pool" {
  for_each        = var.pools
  cluster_name    = aws_eks_cluster.this.name
  node_group_name = each.key
  node_role_arn   = aws_iam_role.node.arn
  # GPUs are scarce: any zone will do. Services have disks, which stay in one zone.
  subnet_ids     = each.value.gpu ? aws_subnet.private[*].id : [aws_subnet.private[0].id]
  instance_types = each.value.instance_types
  capacity_type  = each.value.spot ? "SPOT" : "ON_DEMAND"
  ami_type       = each.value.gpu ? "AL2023_x86_64_NVIDIA" : "AL2023_x86_64_STANDARD"
  # The second label is what NVIDIA's device plugin looks for.
  labels = merge({ "maskx/pool" = each.key }, each.value.gpu ? { "nvidia.com/gpu.present" = "true" } : {})

  launch_template {
    id      = aws_launch_template.pool[each.key].id
    version = aws_launch_template.pool[each.key].latest_version
  }

  scaling_config {
    min_size     = each.value.smallest
    desired_size = each.value.smallest
    max_size     = each.value.largest
  }

  dynamic "taint" {
    for_each = each.value.gpu ? [1] : []
    content {
      key    = "nvidia.com/gpu"
      value  = "present"
      effect = "NO_SCHEDULE"
    }
  }

  dynamic "taint" {
    for_each = each.value.spot ? [1] : []
    content {
      key    = "maskx/spot"
      value  = "true"
      effect = "NO_SCHEDULE"
    }
  }

  # The number of nodes is the autoscaler's.
  lifecycle {
    ignore_changes = [scaling_config[0].desired_size]
  }
  depends_on = [aws_iam_role_policy_attachment.node, aws_eks_addon.network]
}

# What a node of an empty pool would have, for the autoscaler.
resource "aws_autoscaling_group_tag" "label" {
  for_each               = var.pools
  autoscaling_group_name = aws_eks_node_group.pool[each.key].resources[0].autoscaling_groups[0].name
  tag {
    key                 = "k8s.io/cluster-autoscaler/node-template/label/maskx/pool"
    value               = each.key
    propagate_at_launch = false
  }
}
