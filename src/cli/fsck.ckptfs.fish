# Completion of fsck.ckptfs for fish.
source (status dirname)/ckptfs.fish
