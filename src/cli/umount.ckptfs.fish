# Completion of umount.ckptfs for fish.
source (status dirname)/ckptfs.fish
