"""What do the paper's Tables 2 to 5 and Figure 2 read with our encoders, beside the published numbers?

`python -m modeling_retainmix.evaluation.paper.tables --help`
"""
