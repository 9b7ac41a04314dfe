"""A process in which TensorFlow is loaded, and does what is asked of it: its time is that of the work alone.

The other side of the pipe is this file as a program: lines of JSON, a function's name and its arguments.
"""
import json
import os
import subprocess
import sys
import time


class WarmTF:
    def __init__(self):
        env = {**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'}
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__)], env=env, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def ask(self, function, *arguments):
        """Seconds that it took there."""
        print(json.dumps([function, *arguments]), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f'TensorFlow has ended in {function} {arguments}')
        return float(answer)

    def close(self):
        self.process.communicate()


def serve():
    import tensorflow as tf

    held = {}  # the tensors that are saved

    def timed(work):
        start = time.perf_counter()
        answer = work()
        return time.perf_counter() - start, answer

    def restore_of(prefix):
        types = tf.train.load_checkpoint(prefix).get_variable_to_dtype_map()
        names = sorted(types)
        return names, tf.raw_ops.RestoreV2(prefix=prefix, tensor_names=names, shape_and_slices=[''] * len(names),
                                           dtypes=[types[n] for n in names])

    def save_of(prefix, names, tensors):
        tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[''] * len(names), tensors=tensors)

    def remove(prefix):
        for suffix in '.index', '.data-00000-of-00001':
            os.unlink(prefix + suffix)

    def list_variables(prefix):
        return timed(lambda: tf.train.list_variables(prefix))[0]

    def get_tensors(prefix, count):
        """All of the step of Data.blocks, one after the other."""
        def work():
            reader = tf.train.load_checkpoint(prefix)
            for i in range(count):
                reader.get_tensor(f'b{i}')
        return timed(work)[0]

    def make(prefix, mib):
        """A step of MIB: `small` has 1 MiB, the rest is in variables of at most 32 MiB."""
        sizes = [1] + [32] * ((mib - 1) // 32) + [(mib - 1) % 32]
        names = ['small'] + [f'large/{i}' for i in range(1, len(sizes))]
        save_of(prefix, names, [tf.random.normal([n << 18]) for n in sizes])
        with open(os.path.join(os.path.dirname(prefix), 'checkpoint'), 'w', encoding='utf-8') as f:
            f.write(f'model_checkpoint_path: "{os.path.basename(prefix)}"\n')
        return 0

    def rewrite(prefix, target):
        """What a change takes without us: all is read, and all is written."""
        took, _ = timed(lambda: save_of(target, *restore_of(prefix)))
        remove(target)
        return took

    def hold(count, mib):
        held['tensors'] = [tf.random.normal([(mib << 18) // count]) for _ in range(count)]
        held['names'] = [f'layer{i}/kernel' for i in range(count)]
        return 0

    def save(prefix):
        return timed(lambda: save_of(prefix, held['names'], held['tensors']))[0]

    def restore(prefix):
        """Of what was saved, which is removed then."""
        names = held['names']
        took, values = timed(lambda: tf.raw_ops.RestoreV2(prefix=prefix, tensor_names=names, dtypes=[tf.float32] * len(names),
                                                          shape_and_slices=[''] * len(names)))
        if not all(bool(tf.reduce_all(a == b)) for a, b in zip(held['tensors'], values)):
            raise ValueError(f'{prefix} has other values')
        remove(prefix)
        return took

    known = {f.__name__: f for f in (list_variables, get_tensors, make, rewrite, hold, save, restore)}
    for line in sys.stdin:
        function, *arguments = json.loads(line)
        print(known[function](*arguments), flush=True)


if __name__ == '__main__':
    serve()
