"""What `inspect` computes and draws: one file a matter, `data_tools.inspect_records` joins them."""
