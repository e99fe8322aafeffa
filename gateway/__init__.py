"""The edge gateway for shared community facilities."""
