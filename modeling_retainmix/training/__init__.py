"""How is a student trained? The main job, the trainer, its data and its options."""
