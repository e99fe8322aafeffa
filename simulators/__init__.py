"""Physical models of devices, faces for them on the wire, and the people who use them."""
