"""A model of your own: copy this file, change the backbone, name it in the YAML.

::

    model:
      type: custom
      file: my_model.py
      class: TemplateModel
      options: {filters: [8, 16, 32], dropout: 0.1}

Each trait tagged ``config=True`` is an option. Backbone (images -> features) and head (features ->
task) are separate parts: the backbone can be frozen (``trainable_backbone: false``) or replaced by
the trained backbone of another run (``load_backbone_from: other_run/train/ctlearn_model.keras``).
Layers of your own need ``@keras.saving.register_keras_serializable()`` to be loaded again.
"""

import keras
from ctapipe.core.traits import Bool, Float, Int, List, Path, Unicode
from ctlearn.core.model import CTLearnModel, build_fully_connect_head


class TemplateModel(CTLearnModel):
    """Convolutions with stride, global average, and CTLearn's fully connected head.

    Parameters
    ----------
    input_shape : tuple of int
        Height, width and channels of an image; stereo images are stacked along the channels.
    tasks : list of str
        What to predict: names of tasks, such as ``type`` and ``energy``.

    Attributes
    ----------
    model : keras.Model
        The network. Output: class probabilities (n, 2) for ``type``, else a dictionary that maps
        the task to its values, (n, 1) for the energy and (n, 2) for directions.
    """

    name = Unicode("Template", help="The backbone layer is called <name>_block").tag(config=True)
    filters = List(Int(min=1), [8, 16, 32], help="Filters of each convolution").tag(config=True)
    kernel_size = Int(3, min=1, help="Pixels along each side of a kernel").tag(config=True)
    dropout = Float(0.0, min=0.0, max=0.9, help="Share of features dropped").tag(config=True)
    trainable_backbone = Bool(True, help="False trains the head only").tag(config=True)
    load_backbone_from = Path(
        None, allow_none=True, exists=True, help="Trained model whose backbone is taken"
    ).tag(config=True)

    def __init__(self, input_shape, tasks, config=None, parent=None, **kwargs):
        super().__init__(config=config, parent=parent, **kwargs)
        self.backbone_model, self.input_layer = self._build_backbone(input_shape)
        self.backbone_model.trainable = self.trainable_backbone
        features = self.backbone_model(self.input_layer)
        self.logits = build_fully_connect_head(
            features, self.head_layers, self.head_activation_function, tasks
        )
        self.model = keras.Model(self.input_layer, self.logits, name="CTLearn_model")

    def _build_backbone(self, input_shape):
        image = keras.Input(shape=input_shape)
        if self.load_backbone_from is not None:
            trained = keras.saving.load_model(self.load_backbone_from, compile=False)
            names = [layer.name for layer in trained.layers if layer.name.endswith("_block")]
            return trained.get_layer(names[0]), image
        features = image
        for filters in self.filters:
            features = keras.layers.Conv2D(
                filters, self.kernel_size, strides=2, padding="same", activation="relu"
            )(features)
        features = keras.layers.GlobalAveragePooling2D()(features)
        features = keras.layers.Dropout(self.dropout)(features)
        # CTLearn finds the backbone of a saved model by this ending.
        return keras.Model(image, features, name=f"{self.name}_block"), image
