"""Label efficiency: fine-tuning on few target labels, from several pretrainings, on equal terms."""
