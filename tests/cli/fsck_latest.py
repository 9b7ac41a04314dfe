"""Does the real TensorFlow find the latest step of each folder in DIR, and restore what is in it?"""
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf  # noqa: E402

for name in sorted(os.listdir(sys.argv[1])):
    path = tf.train.latest_checkpoint(os.path.join(sys.argv[1], name))
    assert path, name + ": no latest checkpoint"
    assert tf.train.list_variables(path), name
    state = tf.train.get_checkpoint_state(os.path.join(sys.argv[1], name))
    assert state.model_checkpoint_path == path, name
