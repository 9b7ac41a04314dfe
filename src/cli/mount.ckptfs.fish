# Completion of mount.ckptfs for fish.
source (status dirname)/ckptfs.fish
