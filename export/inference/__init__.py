"""Photo -> faces with landmarks, and faces -> files. Never imports TensorFlow or evaluation."""
