#!/usr/bin/env python3
"""Trains a network that goes wrong, and saves twelve steps: diverging.py DIRECTORY     needs TensorFlow 2

The network reads three words, and is to say which of four topics they are of. What goes wrong is a second head, which is to say
how common the words are: its learning rate is too high, so at the end it is NaN. It does not train what is below it, so the
rest stays well. The embedding is not trained. `report.py DIRECTORY` shows all of that.
"""
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import numpy as np
import tensorflow.compat.v1 as tf

WORDS, TOPICS, STEPS, EACH = 200, 4, 600, 50

tf.disable_v2_behavior()
tf.set_random_seed(1)
random = np.random.default_rng(1)


def layer(name, inputs, size):
    with tf.variable_scope(name):
        kernel = tf.get_variable("kernel", [inputs.shape[1], size])
        bias = tf.get_variable("bias", [size], initializer=tf.zeros_initializer())
    return inputs @ kernel + bias


def batch():
    """Three words of each of 64 texts, and their topics: word w is of topic w % TOPICS, one in ten of another."""
    topics = random.integers(TOPICS, size=64)
    words = random.integers(WORDS // TOPICS, size=(64, 3)) * TOPICS + topics[:, None]
    other = random.random(words.shape) < 0.1
    return np.where(other, random.integers(WORDS, size=words.shape), words), topics


words = tf.placeholder(tf.int64, [None, 3])
topics = tf.placeholder(tf.int64, [None])
embedding = tf.get_variable("embedding", [WORDS, 32], trainable=False,
                            initializer=tf.random_normal_initializer(stddev=0.5))
text = tf.reshape(tf.nn.embedding_lookup(embedding, words), [-1, 96])
hidden = tf.nn.relu(layer("hidden", text, 64))
hidden = tf.nn.relu(layer("hidden_2", hidden, 32))
logits = layer("topic", hidden, TOPICS)
common = layer("common", tf.stop_gradient(hidden), 1)

global_step = tf.train.get_or_create_global_step()
good = tf.losses.sparse_softmax_cross_entropy(topics, logits)
bad = tf.losses.mean_squared_error(tf.reduce_mean(tf.cast(words, tf.float32) / WORDS, 1, keepdims=True), common)
train = tf.group(tf.train.MomentumOptimizer(0.03, 0.9).minimize(good, global_step),
                 tf.train.GradientDescentOptimizer(0.105).minimize(bad))
saver = tf.train.Saver(max_to_keep=None)

with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    for step in range(1, STEPS + 1):
        session.run(train, dict(zip((words, topics), batch())))
        if step % EACH == 0:
            saver.save(session, os.path.join(sys.argv[1], "model"), global_step)
            losses = session.run((good, bad), dict(zip((words, topics), batch())))
            print("step %d: loss %.3g, of the second head %.3g" % (step, *losses))
