#!/usr/bin/env python3
"""make.py DIRECTORY: writes with TensorFlow DIRECTORY/deep-scopes: two steps whose variables lie up to twelve scopes deep, as those of
BERT and tensor2tensor do, each with Adam's slots; DIRECTORY/gpu-device: a step whose graph has its variable on the fourth GPU;
DIRECTORY/keras3: two steps of a Keras 3 model and its optimizer, which is why the model's weights are stored as parts of the optimizer; and
DIRECTORY/savedmodel: version 1 of an exported model with two variables."""
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


def keras3():
    layers = tf.keras.layers
    parts = [layers.Input((6,)), layers.Dense(4, name="enc"), layers.BatchNormalization(name="bn"), layers.Dense(2, name="head")]
    model = tf.keras.Sequential(parts, name="net")
    optimizer = tf.keras.optimizers.Adam(0.1)
    model.compile(optimizer=optimizer, loss="mse")
    step = tf.Variable(0, dtype=tf.int64)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, step=step)
    manager = tf.train.CheckpointManager(checkpoint, os.path.join(sys.argv[1], "keras3"), max_to_keep=5)
    rng = np.random.default_rng(11)
    for _ in range(2):
        model.fit(rng.standard_normal((8, 6)), rng.standard_normal((8, 2)), verbose=0)
        step.assign_add(1)
        manager.save()


def saved_model():
    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.w = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
            self.b = tf.Variable([0.5, 0.5])

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32)])
        def __call__(self, x):
            return x @ self.w + self.b

    tf.saved_model.save(Model(), os.path.join(sys.argv[1], "savedmodel/1"))


deep_scopes()
gpu_device()
keras3()
saved_model()
