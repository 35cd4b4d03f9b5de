"""DeepCTR 0.9.4 on TensorFlow 2.21 in graph mode, as its example of DIEN runs it.

With Keras 2, for which it is written, and given back the names that TensorFlow has moved since. Without
regularisation.
"""

import os
from collections.abc import Callable

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # it is written for Keras 2
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(2)
tf.config.threading.set_inter_op_parallelism_threads(2)
tf.compat.v1.disable_eager_execution()

from tensorflow.python.ops import array_ops, control_flow_ops
from tensorflow.python.util import nest

# Where DeepCTR's recurrence looks for them; TensorFlow has moved or renamed them since.
for module, functions in (
    (array_ops, {"stack": tf.stack, "unstack": tf.unstack}),
    (nest, {"is_sequence": tf.nest.is_nested}),
    (
        control_flow_ops,
        {
            "Assert": tf.debugging.Assert,
            "cond": tf.compat.v1.cond,
            "while_loop": tf.compat.v1.while_loop,
        },
    ),
):
    for name, function in functions.items():
        if not hasattr(module, name):
            setattr(module, name, function)

from deepctr.feature_column import SparseFeat, VarLenSparseFeat
from deepctr.models import DIEN
from deepctr_columns import arguments
from shapes import Rows, Shape


def prepare(name: str, shape: Shape, rows: Rows) -> Callable[[], object]:
    tf.keras.backend.clear_session()
    model = DIEN(**arguments(shape, SparseFeat, VarLenSparseFeat), dnn_activation="dice")
    padded = rows.padded()
    inputs = {field: padded[field] for field in model.input_names}
    if shape.mode == "score":
        return lambda: model.predict_on_batch(inputs)
    model.compile("adam", "binary_crossentropy")
    return lambda: model.train_on_batch(inputs, rows.label)
