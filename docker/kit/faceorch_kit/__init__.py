"""What networks share, in parts: a network names the parts that its code imports in `uses` of its network.yaml.

Only these parts, and those that they import, go into its image and decide its identity. So a part

- imports what the environments of all its users have, heavy packages inside the part that needs them alone, and neither
  diffusers nor transformers: those differ between networks;
- is a module `<part>.py` or a package `<part>/`, imported as `from faceorch_kit.<part> import ...` by networks and as
  `from .<part> import ...` by other parts;
- runs on Python 3.10 and later.

A part is added with the first network that needs it. So `latent` (batches of latents to pictures, in order, by an
autoencoder that the network has loaded itself) comes with the first latent diffusion network.
"""
