#!/usr/bin/env python3
"""make.py DIRECTORY: writes with TensorFlow DIRECTORY/deep-scopes: two steps whose variables lie up to twelve scopes deep, as those of
BERT and tensor2tensor do, each with Adam's slots; and DIRECTORY/gpu-device: a step whose graph has its variable on the fourth GPU."""
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

tf1 = tf.compat.v1
TWELVE = "transformer/parallel_0/body/decoder/layer_0/self_attention/multihead_attention/dot_product/relative/output_transform/dense"
VARIABLES = {
    "bert/embeddings/word_embeddings": (16, 4),
    "bert/encoder/layer_0/attention/self/query/kernel": (4, 4),
    "bert/encoder/layer_0/attention/self/query/bias": (4,),
    "bert/encoder/layer_0/output/dense/kernel": (4, 4),
    "cls/predictions/output_bias": (16,),
    TWELVE + "/kernel": (4, 4),
    TWELVE + "/bias": (4,),
}


def deep_scopes():
    directory = os.path.join(sys.argv[1], "deep-scopes")
    os.makedirs(directory)
    rng = np.random.default_rng(11)
    with tf.Graph().as_default(), tf1.Session() as session:
        tf1.set_random_seed(11)
        step = tf1.train.get_or_create_global_step()
        variables = [tf1.get_variable(name, initializer=rng.standard_normal(shape).astype("f4")) for name, shape in VARIABLES.items()]
        loss = tf.add_n([tf.reduce_sum(tf.square(v)) for v in variables])
        train = tf1.train.AdamOptimizer(0.1).minimize(loss, global_step=step)
        session.run(tf1.global_variables_initializer())
        saver = tf1.train.Saver()
        for number in 100, 200:
            session.run(train)
            step.load(number, session)
            saver.save(session, os.path.join(directory, "model.ckpt"), global_step=number)


def gpu_device():
    directory = os.path.join(sys.argv[1], "gpu-device")
    os.makedirs(directory)
    with tf.Graph().as_default(), tf1.Session(config=tf1.ConfigProto(allow_soft_placement=True)) as session:
        with tf.device("/device:GPU:3"):
            tf1.get_variable("w", [3], use_resource=False)
        session.run(tf1.global_variables_initializer())
        tf1.train.Saver(save_relative_paths=True).save(session, os.path.join(directory, "m"), global_step=1)


deep_scopes()
gpu_device()
