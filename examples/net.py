#!/usr/bin/env python3
"""Trains a small network and saves it twice; examples/net is what it wrote.

    python3 net.py DIRECTORY        needs TensorFlow 2

The embedding is not trained, so the two steps agree in it.
"""
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
tf.set_random_seed(1)

words = tf.constant([[0, 1, 2], [3, 4, 5], [6, 7, 0], [1, 3, 5]])
labels = tf.constant([0, 1, 0, 1])

embedding = tf.get_variable("embedding", [8, 4], trainable=False)
features = tf.reduce_mean(tf.nn.embedding_lookup(embedding, words), axis=1)
with tf.variable_scope("hidden"):
    kernel = tf.get_variable("kernel", [4, 6])
    bias = tf.get_variable("bias", [6], initializer=tf.zeros_initializer())
    hidden = tf.nn.relu(features @ kernel + bias)
with tf.variable_scope("output"):
    kernel = tf.get_variable("kernel", [6, 2])
    bias = tf.get_variable("bias", [2], initializer=tf.zeros_initializer())
    logits = hidden @ kernel + bias

loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
global_step = tf.train.get_or_create_global_step()
train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss, global_step)
saver = tf.train.Saver()

with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    for step in range(1, 201):
        session.run(train)
        if step % 100 == 0:
            saver.save(session, os.path.join(sys.argv[1], "model"), global_step)
