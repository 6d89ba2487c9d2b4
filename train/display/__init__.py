"""Display of records: the report, tables, pictures and TensorBoard."""
