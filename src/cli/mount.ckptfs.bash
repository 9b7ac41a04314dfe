# Completion of mount.ckptfs for bash. tests/mount/refusals.sh compares it with --help.
# shellcheck shell=bash
# shellcheck source=src/cli/ckptfs_files.bash
. "$(dirname "${BASH_SOURCE[0]}")/ckptfs_files.bash"

_mount_ckptfs() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} done=
  local options="allow_empty allow_other allow_root auto_unmount cache= collection= commit= commit=sync compact= filename= fsname= gid=
    keep_checkpoint_every_n_hours= latest_filename= max_to_keep= meta_graph_suffix= names=key names=full noatime nodev noexec
    nosave_debug_info nosave_relative_paths nosuid nowrite_meta_graph nowrite_state noxattr pad_step_number raw reshape ro rw
    safetensors save_debug_info save_relative_paths sharded strip_default_attrs uid= umask= var_list= verify=read verify=open verify=off write_meta_graph
    write_state write_version=1 write_version=2"

  compopt +o filenames
  if [ "$before" = -o ]; then
    compopt -o nospace
    [[ $word != *,* ]] || done=${word%,*},
    mapfile -t COMPREPLY < <(compgen -P "$done" -W "$options" -- "${word##*,}")
  elif [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "-o -s -f -n -v --foreground --debug --help --version" -- "$word")
  else
    _ckptfs_files "$word"
  fi
}
complete -F _mount_ckptfs mount.ckptfs
