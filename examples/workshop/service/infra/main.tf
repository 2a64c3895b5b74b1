variable "instances" {
  type    = number
  default = 2
}

# Built in: it needs no provider, and plans and drifts like any other resource.
resource "terraform_data" "orders" {
  input = { service = "orders", instances = var.instances }
}

resource "terraform_data" "book" {
  input = "orders.book"
}
