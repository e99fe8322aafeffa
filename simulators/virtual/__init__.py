"""A site in virtual time: the gateway's own objects, and links, disk and people around them."""
