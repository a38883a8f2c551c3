"""MyNetwork: this folder goes into the image, and the runner imports it as the package faceorch_networks.mynetwork."""
