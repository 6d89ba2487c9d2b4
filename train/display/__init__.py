"""Display: the report, tables, charts and TensorBoard, from what has been measured."""
